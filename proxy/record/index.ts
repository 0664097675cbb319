export { type Cast, type CastEvent, type CastHeader, castLines, NothingToShow, readCast } from './asciicast.ts';
export { RecordingIndex, type RecordingQuery } from './catalog.ts';
export { DigestChain } from './digest-chain.ts';
export { type RecordingKey, RecordingLocked, recordingKey } from './keys.ts';
export { type Library, type LibraryFrame, openLibrary } from './library.ts';
export { type Frame, parseRecording, RecordingDamaged, readRecording } from './reader.ts';
export { createRecorder, type Recorder, type RecorderOptions } from './recorder.ts';
export { type RetentionRules, startRetention } from './retention.ts';
export type { RecordingEntry } from './synopsis.ts';
