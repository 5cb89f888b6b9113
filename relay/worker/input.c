// SPDX-License-Identifier: MIT
/*
 * input: see input.h.
 *
 * The kernel gives a frame to one of the two sockets, and each frame of a flow before the next. So
 * what has been seen of the one ring is in order with the other ring if that is looked at
 * afterwards: a frame there that is older has been there by then. Frames that turn out to be newer
 * go back, to be lent after it. The usual case, one ring busy and the other empty, costs a look at
 * the other.
 */
#include "worker/input.h"

/* How many of these frames came before `time`. */
static unsigned count_before(const struct frame *frames, unsigned count, uint64_t time)
{
	while (count > 0 && frames[count - 1].time > time)
		count--;
	return count;
}

/* Those of one ingress that came before what the other one has next. */
static unsigned peek_before(struct ingress *ingress, struct ingress *other, struct frame *frames,
			    unsigned max)
{
	const unsigned count = ingress->fd < 0 ? 0 : ingress->ops->peek(ingress, frames, max);
	unsigned older = count;

	if (count > 0 && other->fd >= 0)
		older = count_before(frames, count, other->ops->next_time(other));
	if (older < count)
		ingress->ops->unpeek(ingress, count - older);
	return older;
}

unsigned input_peek(struct input *input, struct frame *frames, unsigned max, struct ingress **from)
{
	for (int i = 0; i < FRAME_CLASSES; i++) {
		struct ingress *ingress = &input->ingress[input->busy];
		const enum frame_class other =
			input->busy == FRAMES_SMALL ? FRAMES_LARGE : FRAMES_SMALL;
		const unsigned count = peek_before(ingress, &input->ingress[other], frames, max);

		*from = ingress;
		if (count > 0)
			return count;
		input->busy = other;
	}
	return 0;
}
