/* SPDX-License-Identifier: MIT
 *
 * pump: standard error, made so that writing to it never blocks. Descriptor 2 becomes a pipe of our
 * own, which refuses what it cannot hold (EAGAIN). A thread takes what is written there on to what
 * descriptor 2 was before, and waits for that as long as it has to: a terminal that was stopped, a
 * reader that sleeps, a disk. Processes that are started meanwhile write to the pipe as well.
 *
 * Why a thread: O_NONBLOCK would be set for all who have that terminal or pipe, not for us alone;
 * to open it anew by way of /proc is not possible for a socket (the journal) and not permitted for
 * another user's terminal, and does not help against a disk; poll(2) tells of room that another
 * writer may take.
 *
 * Its life: pump_open, from which on lines wait in the pipe; pump_start, which makes the thread
 * with the privileges of that moment; pump_finish.
 */
#ifndef PUMP_H
#define PUMP_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

/* What is to be added at the end of a line, now that there is room again: at most `size` bytes, a
 * whole line. Returns how many; 0: nothing. The pump's thread calls it. */
typedef size_t (*pump_note)(void *context, char *line, size_t size);

struct pump {
	int in, out;  /* the pipe's other end, and what descriptor 2 was; out -1: not open */
	char *buffer; /* of the thread */
	pthread_t thread;
	sem_t ended;
	bool running;
	pump_note note;
	void *context;
};

/* 0 or negative errno: all is as before. */
int pump_open(struct pump *pump);

/* `note` may be NULL. 0 or negative errno. */
int pump_start(struct pump *pump, pump_note note, void *context);

/* Descriptor 2 becomes what it was, once all that was written has been taken on. What nobody takes
 * for `patience_ms` is lost. The other writers have ended. */
void pump_finish(struct pump *pump, int patience_ms);

#endif
