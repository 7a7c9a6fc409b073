// Descriptors of sockets, which Node has no function for: those under its own objects.

import net from 'node:net';
import path from 'node:path';

/**
 * @returns {Promise<{ listener: number, stream: number }>} a listening socket, and one connected to
 * it
 */
export async function openSockets(folder) {
  const place = path.join(folder, 'socket');
  const server = net.createServer((socket) => socket.on('error', () => {}));
  await new Promise((resolve) => server.listen(place, resolve));
  const client = net.connect(place);
  await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject));
  client.on('error', () => {});
  client.pause();
  return { listener: server._handle.fd, stream: client._handle.fd };
}
