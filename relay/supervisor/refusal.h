/* SPDX-License-Identifier: MIT
 *
 * refusal: why a change of rules is not made, in one sentence for whoever asked for it.
 */
#ifndef REFUSAL_H
#define REFUSAL_H

#define REFUSAL_BYTES 256

/* Writes the sentence to `error` [REFUSAL_BYTES] and returns rc. */
int refusal_explain(char *error, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
