/* SPDX-License-Identifier: MIT
 *
 * worker: one data plane, in a process of its own. It is started by the supervisor, which sends it
 * sockets and rules over a channel; it can open none itself, and runs without privileges.
 */
#ifndef WORKER_H
#define WORKER_H

/* The main function of a worker process: returns its exit status when the supervisor has told it to
 * stop, has gone, or something has failed that no packet can cause. */
int worker_main(void);

#endif
