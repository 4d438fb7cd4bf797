// A hook for React: in a room as long as the component is there.
import { useEffect, useState } from 'react';
import { connect } from 'signalbox';

const OUTSIDE = { room: null, peers: [], messages: [], error: null };

// Returns the `room` once it is joined, its `peers`, the `messages` from them, and what went wrong,
// if anything has.
export function useRoom({ url, name, user }) {
  const [known, setKnown] = useState(OUTSIDE);

  useEffect(() => {
    const ended = new AbortController();
    const { signal } = ended;
    const learn = (news) => {
      if (!signal.aborted) setKnown((before) => ({ ...before, ...news(before) }));
    };
    const enter = async () => {
      const session = await connect({ url, name: user, signal });
      const room = session.room(name);
      const look = () => learn(() => ({ peers: [...room.peers.values()] }));
      for (const type of ['peer', 'left', 'state']) room.on(type, look);
      room.on('message', ({ peer, data }) => {
        learn(({ messages }) => ({ messages: [...messages, { from: peer.name, text: data }] }));
      });
      room.on('closed', ({ error }) => learn(() => ({ room: null, error })));
      await room.join();
      learn(() => ({ room }));
    };
    setKnown(OUTSIDE);
    enter().catch((error) => learn(() => ({ error })));
    return () => ended.abort(); // closes the session, also one that is still being made
  }, [url, name, user]);

  return known;
}
