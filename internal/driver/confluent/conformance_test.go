package confluent_test

import (
	"testing"

	"github.com/kbench/kbench/internal/driver/confluent"
	"github.com/kbench/kbench/internal/driver/drivertest"
)

func TestConformance(t *testing.T) { drivertest.Run(t, confluent.New(nil)) }
