package clustertest

import (
	"os"
	"testing"

	"github.com/kbench/kbench/internal/cluster/docker"
)

// builtHere is the image that scripts/kafka-image builds.
const builtHere = "kbench/kafka:4.3.1"

// DockerImage is the image to test with: KBENCH_IMAGE, or the one that is built without a registry.
func DockerImage() string { return orElse(os.Getenv("KBENCH_IMAGE"), builtHere) }

// RequireDocker is Require for a cluster in containers (KBENCH_REQUIRE names docker), and tells the image.
func RequireDocker(t testing.TB) (image string) {
	t.Helper()
	image = DockerImage()
	missing := docker.Available(t.Context(), docker.Options{Image: image})
	if missing == nil {
		return image
	}
	if required("docker", os.Getenv("CI"), os.Getenv("KBENCH_REQUIRE")) {
		t.Fatalf("a cluster in containers is required: %v", missing)
	}
	t.Skipf("NOT TESTED, for want of a cluster in containers: %v", missing)
	return ""
}
