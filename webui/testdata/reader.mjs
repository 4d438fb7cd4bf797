// Who reads the pages' texts in Node, and in which language. It is imported before them.
globalThis.navigator ??= { languages: ['en'] };
