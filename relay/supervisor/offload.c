// SPDX-License-Identifier: MIT
/* offload: see offload.h. The kernel numbers features as it likes, and gives their names. */
#include "supervisor/offload.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char GRO[] = "rx-gro", FORWARDING[] = "rx-udp-gro-forwarding";

/* All features of one interface, open for questions. */
struct features {
	int fd;
	char interface[IFNAMSIZ];
	struct ethtool_gstrings *names;
	struct ethtool_gfeatures *values;
};

static int ask(const struct features *features, void *command)
{
	struct ifreq request = {.ifr_data = command};

	strcpy(request.ifr_name, features->interface);
	return ioctl(features->fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

static uint32_t blocks_of(uint32_t count)
{
	return (count + 31) / 32;
}

static int count_features(const struct features *features, uint32_t *count)
{
	union { /* one number behind the header */
		struct ethtool_sset_info info;
		uint8_t bytes[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} set = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
	int rc = ask(features, &set);

	if (rc < 0)
		return rc;
	*count = set.info.data[0];
	return set.info.sset_mask ? 0 : -EOPNOTSUPP;
}

static int read_features(struct features *features)
{
	uint32_t count;
	int rc = count_features(features, &count);

	if (rc < 0)
		return rc;
	features->names = calloc(1, sizeof(*features->names) + count * ETH_GSTRING_LEN);
	features->values =
		calloc(1, sizeof(*features->values) +
				  blocks_of(count) * sizeof(struct ethtool_get_features_block));
	if (!features->names || !features->values)
		return -ENOMEM;
	features->names->cmd = ETHTOOL_GSTRINGS;
	features->names->string_set = ETH_SS_FEATURES;
	features->names->len = count;
	features->values->cmd = ETHTOOL_GFEATURES;
	features->values->size = blocks_of(count);
	rc = ask(features, features->names);
	return rc < 0 ? rc : ask(features, features->values);
}

static void features_close(struct features *features)
{
	free(features->names);
	free(features->values);
	if (features->fd >= 0)
		close(features->fd);
}

/* The name it has now: ethtool's requests take no index. */
static int find_name(struct features *features, int index)
{
	struct ifreq request = {.ifr_ifindex = index};

	if (ioctl(features->fd, SIOCGIFNAME, &request) < 0)
		return -errno;
	memcpy(features->interface, request.ifr_name, IFNAMSIZ);
	return 0;
}

static int features_open(struct features *features, int index)
{
	int rc;

	*features = (struct features){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
	rc = features->fd < 0 ? -errno : find_name(features, index);
	if (rc == 0)
		rc = read_features(features);
	if (rc < 0)
		features_close(features);
	return rc;
}

/* -1 if there is no feature of that name. */
static int find(const struct features *features, const char *name)
{
	for (uint32_t i = 0; i < features->names->len; i++)
		if (strncmp((const char *)features->names->data + (size_t)i * ETH_GSTRING_LEN, name,
			    ETH_GSTRING_LEN) == 0)
			return (int)i;
	return -1;
}

static bool is_on(const struct features *features, const char *name)
{
	int index = find(features, name);

	return index >= 0 &&
	       (features->values->features[index / 32].active >> (index % 32) & 1) != 0;
}

static int turn(const struct features *features, const char *name, bool on)
{
	int index = find(features, name), rc;
	size_t size = sizeof(struct ethtool_sfeatures) +
		      blocks_of(features->names->len) * sizeof(struct ethtool_set_features_block);
	struct ethtool_sfeatures *command;

	if (index < 0)
		return -EOPNOTSUPP;
	command = calloc(1, size);
	if (!command)
		return -ENOMEM;
	command->cmd = ETHTOOL_SFEATURES;
	command->size = blocks_of(features->names->len);
	command->features[index / 32].valid = 1U << (index % 32);
	command->features[index / 32].requested = (uint32_t)on << (index % 32);
	rc = ask(features, command);
	free(command);
	return rc;
}

int offload_open(struct offload *offload, int index)
{
	struct features features;
	int rc = features_open(&features, index);

	*offload = (struct offload){0};
	if (rc < 0)
		return rc;
	offload->index = index;
	if (!is_on(&features, GRO)) {
		rc = turn(&features, GRO, true);
		offload->gro = rc == 0;
	}
	if (rc == 0 && !is_on(&features, FORWARDING)) {
		rc = turn(&features, FORWARDING, true);
		offload->forwarding = rc == 0;
	}
	features_close(&features);
	/* it may have been accepted, and not be possible all the same */
	if (rc == 0 && !offload_aggregates(index))
		rc = -EOPNOTSUPP;
	if (rc < 0)
		offload_close(offload);
	return rc;
}

int offload_keep(struct offload *offload)
{
	struct offload again;
	int rc;

	if (!offload->index || offload_aggregates(offload->index))
		return 0;
	rc = offload_open(&again, offload->index);
	if (rc < 0)
		return rc;
	offload->gro |= again.gro;
	offload->forwarding |= again.forwarding;
	return 0;
}

void offload_close(struct offload *offload)
{
	struct features features;

	if (offload->index && features_open(&features, offload->index) == 0) {
		if (offload->forwarding)
			turn(&features, FORWARDING, false);
		if (offload->gro)
			turn(&features, GRO, false);
		features_close(&features);
	}
	*offload = (struct offload){0};
}

bool offload_aggregates(int index)
{
	struct features features;
	bool both;

	if (features_open(&features, index) < 0)
		return false;
	both = is_on(&features, GRO) && is_on(&features, FORWARDING);
	features_close(&features);
	return both;
}
