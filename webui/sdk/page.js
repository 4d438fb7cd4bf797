// What happens to the page and to its network, as far as a connection has to know of it.

// Calls back until the function that it returns is called. There may be no page, as in Node.
export function watchPage({ doubt, online, shown, hidden }) {
  let network = globalThis.navigator?.connection?.type;

  // Most of these events say only that the estimate of the network's speed has changed.
  const networkChanged = () => {
    const { type } = navigator.connection;
    if (type !== network) online();
    else doubt();
    network = type;
  };
  const visible = () => {
    if (document.visibilityState === 'visible') doubt();
  };
  const change = (listen) => {
    const page = globalThis;
    page[listen]?.('online', online);
    page[listen]?.('pageshow', shown);
    page[listen]?.('pagehide', hidden);
    page.document?.[listen]('visibilitychange', visible);
    page.navigator?.connection?.[listen]?.('change', networkChanged);
  };
  change('addEventListener');
  return () => change('removeEventListener');
}
