/* An HTTP server that waits for all of its connections at once with poll() and keeps them open. Its
 * arguments are listeners; /quit ends it with code 7, and it prints how many connections it had at
 * most, how many were reset, and how often there was no descriptor for one more. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 1200

static struct pollfd polled[MOST];
static char requests[MOST][512];
static size_t lengths[MOST];
static int used, listeners, most, resets, refused;

static void drop(int index) {
  close(polled[index].fd);
  used--;
  polled[index] = polled[used];
  lengths[index] = lengths[used];
  memcpy(requests[index], requests[used], lengths[index]);
}

static void take(int listener) {
  for (;;) {
    int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (peer < 0) {
      if (errno == EMFILE) refused++;
      else if (errno != EAGAIN) fprintf(stderr, "accept: %s\n", strerror(errno));
      return;
    }
    if (used == MOST) {
      close(peer);
      return;
    }
    polled[used].fd = peer;
    polled[used].events = POLLIN;
    polled[used].revents = 0;
    lengths[used] = 0;
    used++;
    if (used - listeners > most) most = used - listeners;
  }
}

/* 0: the connection stays. 1: it has ended. 7: the server is to end. */
static int serve(int index) {
  char *request = requests[index];
  ssize_t got = recv(polled[index].fd, request + lengths[index],
                     sizeof requests[index] - 1 - lengths[index], 0);
  if (got < 0 && errno == EAGAIN) return 0;
  if (got < 0) resets++;
  if (got <= 0) return 1;
  lengths[index] += (size_t)got;
  request[lengths[index]] = 0;
  char *end = strstr(request, "\r\n\r\n");
  if (end == NULL) return lengths[index] == sizeof requests[index] - 1;
  int quits = strncmp(request, "GET /quit ", 10) == 0;
  char path[128], answer[512];
  if (sscanf(request, "%*s %100s", path) != 1) return 1;
  int all = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s",
                     (int)strlen(path), path);
  if (send(polled[index].fd, answer, (size_t)all, 0) != all) return 1;
  lengths[index] = 0;
  return quits ? 7 : 0;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    polled[used].fd = atoi(argv[i]);
    polled[used].events = POLLIN;
    used++;
  }
  listeners = used;
  for (;;) {
    if (poll(polled, (nfds_t)used, -1) < 0) {
      fprintf(stderr, "poll: %s\n", strerror(errno));
      return 1;
    }
    /* From the end, as a connection that is dropped is replaced by the last one. */
    for (int i = used - 1; i >= listeners; i--) {
      if (polled[i].revents == 0) continue;
      int end = serve(i);
      if (end == 7) {
        printf("%d at once, %d reset, %d times full\n", most, resets, refused);
        return 7;
      }
      if (end) drop(i);
    }
    for (int i = 0; i < listeners; i++) {
      if (polled[i].revents != 0) take(polled[i].fd);
    }
  }
}
