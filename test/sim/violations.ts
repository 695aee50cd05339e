/**
The violation of a rule. An error that is thrown within a promise callback is lost, because no caller catches it. So the
first violation is also recorded here, and the run looks at it after each event.
*/
export class Violations {
	/** The first violation. */
	first: Error | undefined;

	/**
	Records a violation. Returns the first one, for callers that throw it.
	@param text the rule, a colon and what breaks it
	*/
	record(text: string): Error {
		this.first ??= new Error(text);
		return this.first;
	}

	/** @throws the violation, if there is one */
	check(violation: string | undefined): void {
		if (violation !== undefined) throw this.record(violation);
	}
}
