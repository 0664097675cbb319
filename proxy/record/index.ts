export { type Cast, type CastEvent, type CastHeader, castLines, NothingToShow, readCast } from './asciicast.ts';
export { type Frame, parseRecording, RecordingDamaged, readRecording } from './reader.ts';
export { createRecorder, type Recorder, type RecorderOptions } from './recorder.ts';
