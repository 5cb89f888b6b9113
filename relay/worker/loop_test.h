/* SPDX-License-Identifier: MIT
 *
 * loop_test: are packets with one payload in a loop, or does a sender repeat itself? To find out,
 * they are withheld: equal ones are as good as each other, so a number is all that has to be kept.
 * In a loop none come any more then, but for those that are let go:
 *
 *     let go:    .   .   1   .   1   1   .   1   .   1  ...   half of 20 windows, drawn by lot
 *     come back: *   .   1   .   1   1   .   1   .   1  ...   a loop: in those, and in no others
 *     come:      2   2   2   1   2   3   2   2   1   2  ...   a sender, who cannot know the lots
 *
 * The first window that does not fit ends the test, and what was withheld is let go: nothing is
 * lost, and little delayed. A sender that fits by chance is one in 184,756.
 *
 * Other relays on the way may test the same loop at the same time, and withhold what comes from us:
 * then both find none, and try again after times that differ.
 */
#ifndef LOOP_TEST_H
#define LOOP_TEST_H

#include <stdbool.h>
#include <stdint.h>

enum { LOOP_WINDOWS = 20 };

enum loop_verdict { LOOP_NOT_KNOWN, LOOP_NONE, LOOP_FOUND };

struct loop_test {
	uint32_t lots;	 /* bit i: packets are let go in window i */
	unsigned window; /* the one at hand; LOOP_WINDOWS: that before the first */
	uint64_t window_ns, ends_ns;
	uint64_t withheld;    /* now */
	uint64_t come;	      /* in this window */
	uint64_t least, most; /* least in a window with, most in a window without packets let go */
	uint64_t noise;	      /* most that came without being let go, the time before included */
};

/* With windows of that length: longer than a packet takes to go round. `random`: any number. */
void loop_test_begin(struct loop_test *test, uint64_t window_ns, uint64_t random, uint64_t now_ns);

/* Packets have come, and are withheld. */
static inline void loop_test_withhold(struct loop_test *test, uint64_t packets)
{
	test->come += packets;
	test->withheld += packets;
}

/* To be called again and again. `idle`: all that has come has been withheld. *let_go: so many of
 * the packets withheld are to be sent now. */
enum loop_verdict loop_test_step(struct loop_test *test, bool idle, uint64_t now_ns,
				 uint64_t *let_go);

#endif
