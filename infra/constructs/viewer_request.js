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
    delete headers['cloudfront-forwarded-proto'];
    {{COOKIES}}
    const reads = request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS';
    if (EDGE && reads && !headers.upgrade) {
        // An edge that has no route (503), or sleeps: CloudFront calls one that it cannot reach 502 or 504. The API says
        // why, and wakes it.
        cf.createRequestOriginGroup({
            originIds: [{ originId: EDGE }, { originId: API }],
            failoverCriteria: { statusCodes: [502, 503, 504] },
        });
    }
    return request;
}
