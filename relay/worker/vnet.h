/* SPDX-License-Identifier: MIT
 *
 * vnet: the virtio-net header that the kernel puts before each frame (PACKET_VNET_HDR). It tells
 * what the frame alone does not: that it is an aggregate (GRO, or a sender's UDP_SEGMENT on a link
 * that carries such whole), and that its checksum has yet to be filled in.
 */
#ifndef VNET_H
#define VNET_H

#include "worker/packet.h"

#include <linux/virtio_net.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2 */
#endif

/* Takes what the header knows into the frame. */
static inline void vnet_read(const struct virtio_net_hdr *header, struct frame *frame)
{
	if (header->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID))
		frame->checksum_good = true;
	if ((header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_UDP_L4)
		frame->segment_bytes = header->gso_size;
}

#endif
