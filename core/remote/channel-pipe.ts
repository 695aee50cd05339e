/** A TLS channel as the pipe that the remote protocol asks for. */
import type {Pipe} from './pipe.ts';

/** The side of a channel that is used, so that nothing here depends on how it is made. */
export type ChannelSide = {
	send(pieces: readonly Uint8Array[]): boolean;
	onFrame: (payload: Buffer) => void;
	onClose: (why: string) => void;
	close(why: string): void;
};

/** Frames wait in the channel until `onFrame` is set here. */
export function channelPipe(channel: ChannelSide): Pipe {
	return {
		send: pieces => channel.send(pieces),
		close: why => channel.close(why),
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
