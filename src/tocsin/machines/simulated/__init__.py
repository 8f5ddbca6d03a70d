"""Machines that exist only as numbers: thousands of nodes in one process, for tests, scale and teaching."""

from tocsin.machines.simulated.course import Course, Courses, SeededCourses, SimulatedSettings
from tocsin.machines.simulated.machines import Agent, SimulatedMachine, SimulatedMachines
from tocsin.machines.simulated.numbers import NumberAgents

__all__ = [
    "Agent",
    "Course",
    "Courses",
    "NumberAgents",
    "SeededCourses",
    "SimulatedMachine",
    "SimulatedMachines",
    "SimulatedSettings",
]
