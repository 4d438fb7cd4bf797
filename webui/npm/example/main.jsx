// A chat between browsers, with React: ?url=https://call.example.org/signal&room=tea&user=Ada
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { useRoom } from './useRoom.js';

const query = new URLSearchParams(location.search);

function Chat({ url, name, user }) {
  const { room, peers, messages, error } = useRoom({ url, name, user });
  const [text, setText] = useState('');

  const send = (event) => {
    event.preventDefault();
    room.send(text);
    setText('');
  };

  if (error) return <p role="alert">{error.message}</p>;
  return (
    <form onSubmit={send}>
      <p id="peers">{peers.map((peer) => `${peer.name} ${peer.state}`).join(', ')}</p>
      <ul>{messages.map(({ from, text: said }, n) => <li key={n}>{from}: {String(said)}</li>)}</ul>
      <input aria-label="Message" value={text} onChange={(event) => setText(event.target.value)} />
      <button disabled={!room}>Send</button>
    </form>
  );
}

function App() {
  const [isHere, setIsHere] = useState(true);
  return (
    <>
      <button id="toggle" onClick={() => setIsHere(!isHere)}>{isHere ? 'Leave' : 'Enter'}</button>
      {isHere && <Chat url={query.get('url')} name={query.get('room') ?? 'tea'} user={query.get('user') ?? ''} />}
    </>
  );
}

createRoot(document.getElementById('app')).render(<StrictMode><App /></StrictMode>);
