// Tells the LMS that the registration is done, so that it closes its dialog (Dynamic Registration 1.0 3.7).
(window.opener ?? window.parent).postMessage({ subject: "org.imsglobal.lti.close" }, "*");
