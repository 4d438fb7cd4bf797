// What this module says in signals stands under a name of its own, so that whatever an application
// says passes untouched.

export const OWN = 'signalbox';
