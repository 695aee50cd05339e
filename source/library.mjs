/**
The library, as programs import it (`exports` in package.json). Modules are evaluated in this order. The check is not
part of the bundle, which an older Node may fail to parse.
*/
import './expect-node.mjs';

export * from '../dist/library.js';
