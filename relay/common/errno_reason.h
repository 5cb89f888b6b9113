/* SPDX-License-Identifier: MIT
 *
 * errno_reason: what an errno means where it came from, and what can be done about it, where
 * strerror(3) says something that is true of another system call or nothing at all.
 */
#ifndef ERRNO_REASON_H
#define ERRNO_REASON_H

/* Why a send failed: a positive errno of send(2) on a UDP socket, and what to do or to look at. */
const char *reason_of_send(int error);

/* "; ..." behind strerror() for a negative errno of a system call that makes a socket, process,
 * thread or memory: what has run out, and what to raise. "" when there is nothing to add. */
const char *reason_of_shortage(int rc);

#endif
