/* SPDX-License-Identifier: MIT
 *
 * memory: memory that is passed to other processes (a memfd), and what none of them can do to it
 * any more. It is made, filled, sealed.
 */
#ifndef MEMORY_H
#define MEMORY_H

enum memory_seal {
	MEMORY_SIZE_STAYS, /* nobody can cut it short, which would kill whoever looks behind its end
			    */
	MEMORY_CONST,	   /* nor write to it */
};

/* Empty, never to be executed. Returns its descriptor or negative errno. */
int memory_create(const char *name);

/* For good. 0 or negative errno. */
int memory_seal(int fd, enum memory_seal seal);

#endif
