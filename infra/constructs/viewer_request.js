// CloudFront runs this at each viewer request. ADR 18 has the reasons.
import cf from 'cloudfront';

// infra/constructs/viewer_request.py fills in the placeholders.
const EDGE = '{{EDGE}}';   // origin of users' servers; '' if the API does not stand in for it
const API = '{{API}}';     // origin of the API

function handler(event) {
    const request = event.request;
    const headers = request.headers;
    // Viewers cannot set these headers: their values are replaced.
    headers['x-hubless-path'] = { value: request.uri };
    headers['x-hubless-host'] = { value: headers.host ? headers.host.value : '' };
    headers['x-hubless-address'] = { value: event.viewer.ip };
    delete headers['x-hubless-front'];
    delete headers['cloudfront-forwarded-proto'];
    {{COOKIES}}
    const reads = request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS';
    // CloudFront hides Upgrade and Connection from functions. Every WebSocket handshake has a key (RFC 6455, 4.1).
    const opensWebSocket = headers['sec-websocket-key'] !== undefined;
    if (EDGE && reads && !opensWebSocket) {
        // The edge answers 503 without a route, and a stopped edge cannot be connected to, which CloudFront counts as 503
        // or 502. Then the API answers, and starts the edge. 504 is not among them: it is a server that works for long,
        // and the API's redirect back would make it do that again.
        cf.createRequestOriginGroup({
            originIds: [{ originId: EDGE }, { originId: API }],
            failoverCriteria: { statusCodes: [502, 503] },
        });
    }
    return request;
}
