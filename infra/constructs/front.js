// What CloudFront does with each request before it asks the hub. ADR 18 says why it is as it is.
import cf from 'cloudfront';

// The deployment writes what is between the lines.
const EDGE = '{{EDGE}}';   // the origin of users' servers here; '' where none stands in for it
const API = '{{API}}';     // and what stands in

function handler(event) {
    const request = event.request;
    const headers = request.headers;
    // Who asks cannot set these: whatever came by their names is replaced.
    headers['x-hubless-path'] = { value: request.uri };
    headers['x-hubless-host'] = { value: headers.host ? headers.host.value : '' };
    headers['x-hubless-address'] = { value: event.viewer.ip };
    delete headers['x-hubless-front'];
    {{COOKIES}}
    const reads = request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS';
    if (EDGE && reads && !headers.upgrade) {
        // An edge that sleeps, or has no route: the API says why, and wakes it. 503 is also what CloudFront
        // counts an origin as that it cannot connect to.
        cf.createRequestOriginGroup({
            originIds: [{ originId: EDGE }, { originId: API }],
            failoverCriteria: { statusCodes: [503] },
        });
    }
    return request;
}
