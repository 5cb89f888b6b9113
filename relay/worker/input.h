/* SPDX-License-Identifier: MIT
 *
 * input: an interface that rules receive on, as a worker has it: an ingress for small frames and,
 * with rings, one for large ones, whose frames are lent in the order in which they came.
 */
#ifndef INPUT_H
#define INPUT_H

#include "worker/ingress.h"

struct input {
	struct ingress ingress[FRAME_CLASSES]; /* each closed, its fd -1, or open */
	enum frame_class busy;		       /* where frames were found last */
};

/* Lends up to `max` frames, the oldest first, all of one ingress: *from. Returns how many; 0: there
 * is none in either. */
unsigned input_peek(struct input *input, struct frame *frames, unsigned max, struct ingress **from);

#endif
