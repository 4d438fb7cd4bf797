# A lesson on signalbox: makes its room, greets by name whoever comes, and lets mallory not even in.
# The box has api.keys = KEY, webhook.secret = SECRET, webhook.url and connect_url = http://HERE:PORT/.
import hashlib, hmac, json, os, re, time, urllib.parse, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
BOX, KEY, SECRET, PORT = (os.environ[name] for name in ('BOX', 'KEY', 'SECRET', 'PORT'))
heard = {}  # the last number of each run of the box
def ask(path, body):
    headers = {'Authorization': 'Bearer ' + KEY}
    urllib.request.urlopen(urllib.request.Request(BOX + path, json.dumps(body).encode(), headers)).close()

def genuine(header, body):
    found = re.fullmatch(r't=(\d+),v1=([0-9a-f]{64})', header or '')
    own = hmac.new(SECRET.encode(), found[1].encode() + b'.' + body, hashlib.sha256) if found else None
    return found and abs(time.time() - int(found[1])) < 300 and hmac.compare_digest(own.hexdigest(), found[2])

class Lesson(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        if not genuine(self.headers['Signalbox-Signature'], body): return self.send_error(401)
        said = json.loads(body)
        for event in (e for e in said.get('events', []) if e['number'] > heard.get(said['run'], 0)):
            heard[said['run']], peer = event['number'], event.get('peer')  # what comes twice has been heard
            if event['type'] != 'peer-joined': continue
            ask(f"/api/rooms/{urllib.parse.quote(event['room'], '')}/send", {'to': peer['id'], 'data': {'welcome': peer['name']}})
        self.send_response(200), self.end_headers()  # now the box knows that this is done
        self.wfile.write(json.dumps({'admit': said.get('user') != 'mallory', 'reason': 'no lesson for you'}).encode())

server = ThreadingHTTPServer(('', int(PORT)), Lesson)
ask('/api/rooms', {'room': 'lesson', 'capacity': 2, 'ttl': '90m'})
server.serve_forever()
