// A lesson on signalbox: makes its room, greets by name whoever comes, and lets mallory not even in.
// The box has api.keys = KEY, webhook.secret = SECRET, webhook.url and connect_url = http://HERE:PORT/.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
const { BOX, KEY, SECRET, PORT } = process.env;
const heard = {}; // the last number of each run of the box
async function ask(path, body) {
  const headers = { authorization: `Bearer ${KEY}` };
  const answer = await fetch(BOX + path, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!answer.ok) console.error(path, answer.status, await answer.text());
}

function genuine(header, body) {
  const [, time, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? [];
  const own = createHmac('sha256', SECRET).update(`${time}.`).update(body).digest();
  return mac && Math.abs(Date.now() / 1000 - time) < 300 && timingSafeEqual(own, Buffer.from(mac, 'hex'));
}

createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  if (!genuine(request.headers['signalbox-signature'], body)) return response.writeHead(401).end();
  const { run, user, events = [] } = JSON.parse(body);
  for (const { number, type, room, peer } of events.filter((event) => event.number > (heard[run] ?? 0))) {
    heard[run] = number; // what comes twice has been heard
    const welcome = { to: peer?.id, data: { welcome: peer?.name } };
    if (type === 'peer-joined') await ask(`/api/rooms/${encodeURIComponent(room)}/send`, welcome);
  }
  // Now the box knows that this is done.
  response.end(JSON.stringify({ admit: user !== 'mallory', reason: 'no lesson for you' }));
}).listen(PORT, () => ask('/api/rooms', { room: 'lesson', capacity: 2, ttl: '90m' }));
