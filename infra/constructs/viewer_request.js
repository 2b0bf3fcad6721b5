// CloudFront runs this at each viewer request. ADR 18 has the reasons.
import cf from 'cloudfront';

// infra/constructs/viewer_request.py fills in the placeholders.
const EDGE = '{{EDGE}}';   // origin of users' servers; '' if the API does not stand in for it
const API = '{{API}}';     // origin of the API

// Servers know their prefix in one spelling, JupyterHub's. HAProxy corrects others too; a load balancer cannot.
function spelled(uri) {
    const parts = uri.split('/');
    if (parts.length > 3 && (parts[1] === 'user' || parts[1] === 'services')) {
        try {
            parts[2] = encodeURIComponent(decodeURIComponent(parts[2]))
                .replace(/[!'()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase())
                .replace(/%40/g, '@');
        } catch (error) {
            return uri;  // no UTF-8: no server has this name
        }
    }
    return parts.join('/');
}

function handler(event) {
    const request = event.request;
    request.uri = spelled(request.uri);
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
        // The edge answers 503 without a route, and CloudFront counts an edge that it cannot connect to as 503. Then the
        // API answers, and starts the edge. 502 and 504 are of connected requests: a server ended midway, or works for
        // long. The API's redirect back would make it do that again.
        cf.createRequestOriginGroup({
            originIds: [{ originId: EDGE }, { originId: API }],
            failoverCriteria: { statusCodes: [503] },
        });
    }
    return request;
}
