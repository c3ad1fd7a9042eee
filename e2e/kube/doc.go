// Package kube tests Tasuki as its Helm chart installs it, on a real cluster: the one that KUBECONFIG names. It is a module of
// its own, like everything that needs more than Go. TASUKI_KUBE_LOAD is a command that brings images to the nodes: those of
// this version, of the version before, and of an OpenID Connect issuer (make images previous-images e2e-issuer).
package kube
