/** A TLS channel as the pipe that the remote protocol asks for. */
import type {Pipe} from './pipe.ts';

/** The side of a channel that is used, so that nothing here depends on how it is made. */
export type ChannelSide = Pipe;

/** Frames wait in the channel until `onFrame` is set here. */
export function channelPipe(channel: ChannelSide): Pipe {
	return {
		frameBytesMax: channel.frameBytesMax,
		send: pieces => channel.send(pieces),
		room: () => channel.room(),
		pause: () => channel.pause(),
		resume: () => channel.resume(),
		close: why => channel.close(why),
		get onDrain() {
			return channel.onDrain;
		},
		set onDrain(drained) {
			channel.onDrain = drained;
		},
		get onFrame() {
			return channel.onFrame;
		},
		set onFrame(take) {
			channel.onFrame = take;
		},
		get onClose() {
			return channel.onClose;
		},
		set onClose(told) {
			channel.onClose = told;
		},
	};
}
