// SPDX-License-Identifier: MIT
/* settings: see settings.h. */
#include "contract/settings.h"

#include <errno.h>

#define SETTING_COUNT(value, word) +1

/* A bool that has come from elsewhere may hold any byte, and is not to be read as a bool before. */
static bool is_bool(const bool *value)
{
	return *(const uint8_t *)value <= 1;
}

static bool modes_good(const struct worker_settings *settings)
{
	return settings->ingress < 0 INGRESS_MODES(SETTING_COUNT) &&
	       settings->egress < 0 EGRESS_MODES(SETTING_COUNT) &&
	       settings->reap < 0 REAP_MODES(SETTING_COUNT) &&
	       settings->gso < 0 GSO_MODES(SETTING_COUNT) &&
	       settings->threads < 0 THREAD_MODELS(SETTING_COUNT) &&
	       settings->wakeup < 0 WAKEUP_MODES(SETTING_COUNT);
}

int settings_check(const struct worker_settings *settings)
{
	const bool good = modes_good(settings) && settings->queue_depth > 0 &&
			  settings->send_batch > 0 && settings->num_recv_buffers > 0 &&
			  is_bool(&settings->aggregates) && is_bool(&settings->yield) &&
			  is_bool(&settings->log_packets);

	return good ? 0 : -EPROTO;
}
