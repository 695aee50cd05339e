/**
Settings of a topic that all nodes agree on.
*/
/** What is kept of a topic; what is not given is as each node has it in its configuration. */
export type TopicSettings = {
	/** Seconds. */
	readonly retainAgeS?: number;
	/** On each node. */
	readonly retainBytes?: number;
};
