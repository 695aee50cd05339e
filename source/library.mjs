/**
The library, as programs import it (`exports` in package.json). Modules are evaluated in this order; the check is no
part of the bundle, whose chunks come first.
*/
import './expect-node.mjs';

export * from '../dist/library.js';
