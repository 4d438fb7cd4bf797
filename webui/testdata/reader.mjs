// Who reads the texts of /check in Node, and in which language. It is imported before them.
globalThis.navigator ??= { languages: ['en'] };
globalThis.document ??= {
  querySelector: () => ({ content: 'check' }), // the file of the page's own texts
  addEventListener() {},
  removeEventListener() {},
};
