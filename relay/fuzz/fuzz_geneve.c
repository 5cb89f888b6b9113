// SPDX-License-Identifier: MIT
/*
 * fuzz_geneve: geneve_parse on anything; what it takes is built again, and says the same. The input
 * is copied, so that ASan sees a read beyond its last byte.
 */
#include "common/geneve.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct geneve *a, const struct geneve *b)
{
	return a->vni == b->vni && a->protocol == b->protocol &&
	       a->has_endpoint == b->has_endpoint && a->has_attachment == b->has_attachment &&
	       a->has_cookie == b->has_cookie && a->endpoint == b->endpoint &&
	       a->attachment == b->attachment && a->cookie == b->cookie;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct geneve geneve, again;
	uint8_t bytes[GENEVE_BYTES_MAX], *copy;
	size_t inner, length;

	if (size == 0 || size > 70000)
		return 0;
	copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (geneve_parse(copy, size, &geneve, &inner) == GENEVE_OK) {
		if (inner > size || geneve.vni > GENEVE_VNI_MAX)
			abort();
		length = geneve_build(bytes, &geneve);
		if (length > inner || geneve_parse(bytes, length, &again, &inner) != GENEVE_OK ||
		    inner != length || !same(&geneve, &again))
			abort();
	}
	free(copy);
	return 0;
}
