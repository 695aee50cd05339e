/**
The library: what `import … from 'dapss-tui'` gives.

`openBroker` runs a node in this process. `connect` is a client of a node that runs elsewhere; `follow` is a client that
reconnects by itself. All three give a `Broker`. `docs/library.md` is the guide.
*/
// A program that is compiled for an older target has no `AsyncDisposable` of its own.
/// <reference lib="esnext.disposable" preserve="true" />
export type {From, SubscriptionStart, TopicPosition} from './position.ts';
export {
	identityKeyOf,
	isIdentityKey,
	roles,
	type AccessChange,
	type AccessReport,
	type Grant,
	type IdentityKey,
	type Role,
} from './access.ts';
export type {ChangedKey, KeyConnection, KeyId, KeyRequest, KeysReport, KeyState, ReportedKey} from './cluster-keys.ts';
export type {
	Broker,
	DeletedTopic,
	Delivery,
	EventOptions,
	FaultCommand,
	FollowedBroker,
	LinkNews,
	MessageBody,
	Published,
	SubscribeOptions,
	Subscription,
	TopicChange,
	TopicSettings,
} from './broker.ts';
export {defaults, type Config} from './config.ts';
export type {BrokerOptions} from './config-schema.ts';
export {topicNamed} from './data/topic-named.ts';
export {
	DapssError,
	errorMessage,
	exitCodes,
	isDapssError,
	NoneFoundError,
	type ErrorCode,
	type ErrorDetails,
} from './errors.ts';
export {isNodeId, parseTopic, parseTopicName, type Message, type NodeId, type Topic} from './message.ts';
export type {BrokerEvent, MemberState, RecordedEvent} from './events.ts';
export type {Snapshot} from './snapshot.ts';
export {connect, type ConnectOptions, type Reached} from './connect.ts';
export {findNodes, type FindOptions, type FoundNode, type HeardNode} from './find.ts';
export {follow, followWith} from './follow.ts';
export {openBroker, type OpenBroker} from './open.ts';
export {untilReady} from './until-ready.ts';
