@rem The scripts of package.json begin with exec, a word of every shell but this one: there a signal reaches the node itself. Here a command needs no help.
@%*
