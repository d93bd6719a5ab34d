// Loaded before a test server (node -r): makes it listen on the loopback interface only, whatever it asks for.
'use strict';

const net = require('node:net');

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...args) {
    const port = typeof args[0] === 'object' && args[0] !== null ? args[0].port : args[0];
    const isPort = typeof port === 'number' || (typeof port === 'string' && /^\d+$/.test(port));
    if (!isPort) {
        throw new Error('this test server listens on ports only');
    }
    const callback = args.find((arg) => typeof arg === 'function');
    return listen.call(this, { port: Number(port), host: '127.0.0.1' }, callback);
};

// Whoever started it holds its standard input; when that is closed, the server has nobody left.
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
