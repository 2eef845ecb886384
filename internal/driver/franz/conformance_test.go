package franz_test

import (
	"testing"

	"github.com/kbench/kbench/internal/driver/drivertest"
	"github.com/kbench/kbench/internal/driver/franz"
)

func TestConformance(t *testing.T) { drivertest.Run(t, franz.New(nil)) }
