// SPDX-License-Identifier: MIT
/* batch: see batch.h. */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>

int batch_init(struct batch *batch, size_t count)
{
	batch->messages = calloc(count, sizeof(*batch->messages));
	batch->vectors = calloc(count, sizeof(*batch->vectors));
	batch->controls = calloc(count, sizeof(*batch->controls));
	if (!batch->messages || !batch->vectors || !batch->controls)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		batch->messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &batch->vectors[i],
			.msg_iovlen = 1,
			.msg_control = &batch->controls[i],
		};
	return 0;
}

void batch_exit(struct batch *batch)
{
	free(batch->messages);
	free(batch->vectors);
	free(batch->controls);
}
