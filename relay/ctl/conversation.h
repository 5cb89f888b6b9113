/* SPDX-License-Identifier: MIT
 *
 * conversation: one question to the relay, one answer.
 */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include <jansson.h>
#include <stdint.h>

#define CONVERSATION_ERROR_BYTES 1024

/* How long the relay is waited for from now on, milliseconds. */
void conversation_patience(uint64_t ms);

/* What the relay at the control socket `path` answers to `request`: a new reference. NULL when it
 * is not there, says nothing for that long, or refuses; `error` is a sentence then. */
json_t *converse(const char *path, json_t *request, char error[CONVERSATION_ERROR_BYTES]);

#endif
