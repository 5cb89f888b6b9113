/* SPDX-License-Identifier: MIT
 *
 * notify: tells the service manager how it goes, as sd_notify(3) does: one datagram to the socket
 * that $NOTIFY_SOCKET names. Does nothing where there is none.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

/* One or more lines: "READY=1\nSTATUS=...". */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
