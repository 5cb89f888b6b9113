/* SPDX-License-Identifier: MIT
 *
 * conversation: one question to the relay, one answer.
 */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include <jansson.h>

#define CONVERSATION_ERROR_BYTES 1024

/* What the relay at the control socket `path` answers to `request`: a new reference. NULL when it
 * is not there, says nothing for 10 seconds, or refuses; `error` is a sentence then. */
json_t *converse(const char *path, json_t *request, char error[CONVERSATION_ERROR_BYTES]);

#endif
