/** Agreed retention of a topic. A value that is not set follows the configuration of each node. */
export type TopicSettings = {
	/** Maximum age in seconds. */
	readonly retainAgeS?: number;
	/** Maximum size per node. */
	readonly retainBytes?: number;
};
