/* An HTTP server as the simplest are: it accepts, reads a request, answers, closes, and accepts
 * again. The descriptor of its listener is its first argument; /quit ends it with code 7. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int listener = argc > 1 ? atoi(argv[1]) : 3;
  for (int count = 1;; count++) {
    int peer = accept(listener, NULL, NULL);
    if (peer < 0) {
      fprintf(stderr, "accept: %s\n", strerror(errno));
      return 1;
    }
    char request[4096];
    size_t length = 0;
    request[0] = 0;
    while (strstr(request, "\r\n\r\n") == NULL && length < sizeof request - 1) {
      ssize_t got = recv(peer, request + length, sizeof request - 1 - length, 0);
      if (got <= 0) break;
      length += (size_t)got;
      request[length] = 0;
    }
    char body[64], answer[256];
    int size = snprintf(body, sizeof body, "%d from C\n", count);
    int all = snprintf(answer, sizeof answer,
                       "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", size, body);
    /* The peer may have gone. */
    if (length > 0 && send(peer, answer, (size_t)all, 0) == all) shutdown(peer, SHUT_WR);
    close(peer);
    if (strncmp(request, "GET /quit ", 10) == 0) return 7;
  }
}
