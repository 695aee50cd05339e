/** A TLS channel as a pipe of the remote protocol. */
import type {Pipe} from './pipe.ts';

/** The part of a channel that is used, so that this module does not depend on how channels are made. */
export type ChannelSide = Pipe;

/** Frames queue in the channel until `onFrame` is set. */
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
		set onClose(closed) {
			channel.onClose = closed;
		},
	};
}
