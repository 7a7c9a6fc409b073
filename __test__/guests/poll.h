/* Subscriptions, for the guests about poll_oneoff. */
#ifndef POLL_H
#define POLL_H

#include "check.h"

#define MILLISECOND 1000000ull
#define SECOND 1000000000ull

__attribute__((unused)) static __wasi_timestamp_t time_of(__wasi_clockid_t id) {
  __wasi_timestamp_t time = 0;
  MUST(__wasi_clock_time_get(id, 1, &time));
  return time;
}

__attribute__((unused)) static __wasi_subscription_t timer(__wasi_userdata_t userdata,
                                                           __wasi_clockid_t id,
                                                           __wasi_timestamp_t timeout,
                                                           __wasi_subclockflags_t flags) {
  __wasi_subscription_t subscription;
  memset(&subscription, 0, sizeof subscription);
  subscription.userdata = userdata;
  subscription.u.tag = __WASI_EVENTTYPE_CLOCK;
  subscription.u.u.clock.id = id;
  subscription.u.u.clock.timeout = timeout;
  subscription.u.u.clock.flags = flags;
  return subscription;
}

__attribute__((unused)) static __wasi_subscription_t ready(__wasi_userdata_t userdata,
                                                           __wasi_eventtype_t type,
                                                           __wasi_fd_t fd) {
  __wasi_subscription_t subscription;
  memset(&subscription, 0, sizeof subscription);
  subscription.userdata = userdata;
  subscription.u.tag = type;
  subscription.u.u.fd_read.file_descriptor = fd;
  return subscription;
}

#endif
