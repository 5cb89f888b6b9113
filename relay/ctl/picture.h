/* SPDX-License-Identifier: MIT
 *
 * picture: what `mcrelayctl watch` shows of a report: totals, rates since the report before, drops,
 * rules and what waiting ones wait for. Zeroed, it has seen none.
 */
#ifndef PICTURE_H
#define PICTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct picture {
	json_t *counts;	  /* by row, [packets, bytes] of the last report */
	uint64_t time_ns; /* of the last report; 0: there was none */
	json_int_t pid;	  /* of the relay */
	double seconds;	  /* between the last two reports; 0: there is no rate */
};

/* The picture as text, lines that end in a newline; to be freed. NULL when out of memory. */
char *picture_draw(struct picture *picture, const char *socket_path, const json_t *report);

bool picture_is_first(const struct picture *picture);

void picture_exit(struct picture *picture);

#endif
