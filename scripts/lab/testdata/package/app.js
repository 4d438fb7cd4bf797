// An application of a bundler, which has all four modules.
import { connect, SignalboxError } from 'signalbox';
import { Data } from 'signalbox/data';
import { Media, MediaError, Meter } from 'signalbox/media';
import { Stats, verdictOf, verdictWords } from 'signalbox/stats';

window.sdk = { connect, SignalboxError, Data, Media, MediaError, Meter, Stats, verdictOf, verdictWords };
