/**
The door: what programs, the console and the command line use of the broker.

`openBroker` runs a node in this process; `connect` speaks to one that runs elsewhere, `follow` to whichever of several
is there; all give a `Broker`.
*/
export type {From} from './position.ts';
export type {
	Broker,
	DeletedTopic,
	Delivery,
	FaultCommand,
	FollowedBroker,
	LinkNews,
	Published,
	SubscribeOptions,
	Subscription,
	TopicChange,
	TopicSettings,
} from './broker.ts';
export {defaults, type Config} from './config.ts';
export {DapssError, errorMessage, exitCodes, NoneFoundError, type ErrorCode} from './errors.ts';
export {isNodeId, parseTopic, parseTopicName, type Message, type NodeId, type Topic} from './message.ts';
export type {BrokerEvent, MemberState, RecordedEvent} from './events.ts';
export type {Snapshot} from './snapshot.ts';
export {connect, type ConnectOptions, type Reached} from './connect.ts';
export {findNodes, type FindOptions, type FoundNode} from './find.ts';
export {follow, followWith} from './follow.ts';
export {openBroker, serveOver, type OpenBroker} from './open.ts';
export {openSurvivor, type SurvivorReport, type Survivor} from './recover.ts';
export {RemoteBroker} from './remote/client.ts';
export {portPipe} from './remote/pipe.ts';
